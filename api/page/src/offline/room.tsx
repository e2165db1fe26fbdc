export default function Room() {
  return <p class="paper">offline/room</p>;
}
