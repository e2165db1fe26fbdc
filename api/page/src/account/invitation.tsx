export default function Room() {
  return <p class="paper">account/invitation</p>;
}
