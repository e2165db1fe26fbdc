export default function Room() {
  return <p class="paper">administration/room</p>;
}
