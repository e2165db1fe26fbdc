export default function Room() {
  return <p class="paper">account/sign_in</p>;
}
