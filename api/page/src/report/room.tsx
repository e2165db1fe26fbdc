export default function Room() {
  return <p class="paper">report/room</p>;
}
