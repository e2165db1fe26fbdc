export default function Room() {
  return <p class="paper">report/mine</p>;
}
