export default function Room() {
  return <p class="paper">map/room</p>;
}
