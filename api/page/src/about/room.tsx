export default function Room() {
  return <p class="paper">about/room</p>;
}
