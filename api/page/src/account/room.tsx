export default function Room() {
  return <p class="paper">account/room</p>;
}
