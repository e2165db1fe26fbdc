/** An account made of an invitation's link. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ask } from "../server/client";
import { takeToken, useAct } from "./acting";
import { Input, Problem } from "./parts";
import { t } from "./words";
import "./account.css";

export default function Room() {
  const token = useRef<string | null>(null);
  token.current ??= takeToken();
  const name = useSignal("");
  const password = useSignal("");
  const made = useSignal(false);
  const { busy, problem, act } = useAct();

  if (made.value) return <Done said={t().made} />;
  return (
    <section class="paper account">
      <h1>{t().invitation}</h1>
      {token.current === "" ? <Problem said={t().noToken} /> : <p>{t().invitationHelp}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act(async () => {
            const body = { token: token.current, name: name.value, password: password.value };
            await ask("auth/invitations/accept", { method: "POST", body });
            made.value = true;
          });
        }}
      >
        <Input label={t().name} value={name} autocomplete="name" maxLength={120} />
        <Input
          label={t().passwordNew}
          value={password}
          type="password"
          autocomplete="new-password"
          minLength={12}
          maxLength={200}
        />
        <Problem said={problem.value} />
        <button type="submit" disabled={busy.value || token.current === ""}>
          {t().make}
        </button>
      </form>
    </section>
  );
}

export function Done({ said }: { said: string }) {
  return (
    <section class="paper account">
      <p role="status">{said}</p>
      <a class="button" href="/connexion">
        {t().signIn}
      </a>
    </section>
  );
}
