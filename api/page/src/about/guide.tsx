export default function Room() {
  return <p class="paper">about/guide</p>;
}
