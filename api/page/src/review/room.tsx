export default function Room() {
  return <p class="paper">review/room</p>;
}
