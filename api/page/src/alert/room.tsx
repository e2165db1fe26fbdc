export default function Room() {
  return <p class="paper">alert/room</p>;
}
