/** Accounts and the log of who did what. */
import { useSignal } from "@preact/signals";
import { ask, askJson, type Schemas } from "../server/client";
import { language } from "../words";
import { useAsked, Waits } from "./asked";
import { t } from "./words";

type Person = Schemas["PersonAnswer"];
const ROLES = ["volunteer", "analyst", "administrator"];

function codes(text: string): string[] {
  return text
    .toUpperCase()
    .split(/[\s,;]+/)
    .filter(Boolean);
}

export function People() {
  const people = useAsked<Schemas["People"]>("users");
  return (
    <div>
      <Invite />
      <Waits of={people} />
      <ul class="lines">
        {people.told.value?.people.map((person) => (
          <One
            key={`${person.id}${person.role}${person.departements}${person.disabled_at}`}
            person={person}
            act={(doing) =>
              people.act(async () => {
                await doing();
                await people.look();
              })
            }
          />
        ))}
      </ul>
    </div>
  );
}

function Invite() {
  const email = useSignal("");
  const role = useSignal("volunteer");
  const departements = useSignal("");
  const link = useSignal<string | null>(null);
  const problem = useSignal<string | null>(null);
  async function invite(): Promise<void> {
    problem.value = null;
    link.value = null;
    try {
      const body = { email: email.value, role: role.value, departements: codes(departements.value) };
      link.value = (await askJson<Schemas["OneTimeLink"]>("auth/invitations", { method: "POST", body })).link;
    } catch (error) {
      problem.value = error instanceof Error ? error.message : t().failed;
    }
  }
  return (
    <form
      class="invite"
      onSubmit={(event) => {
        event.preventDefault();
        void invite();
      }}
    >
      <label>
        {t().email}
        <input
          type="email"
          required
          value={email.value}
          onInput={(event) => {
            email.value = event.currentTarget.value;
          }}
        />
      </label>
      <RoleChoice
        value={role.value}
        onChange={(value) => {
          role.value = value;
        }}
      />
      <label>
        {t().departements}
        <input
          value={departements.value}
          onInput={(event) => {
            departements.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit">{t().invite}</button>
      {link.value === null ? null : (
        <p role="status">
          {t().link} <code>{link.value}</code>
        </p>
      )}
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </form>
  );
}

function RoleChoice({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <label>
      {t().role}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {ROLES.map((role) => (
          <option key={role} value={role}>
            {t().roles[role]}
          </option>
        ))}
      </select>
    </label>
  );
}

function One({ person, act }: { person: Person; act: (doing: () => Promise<unknown>) => void }) {
  const role = useSignal<string>(person.role);
  const departements = useSignal(person.departements.join(", "));
  const root = `users/${person.id}`;
  const ended = person.disabled_at !== null;

  async function data(): Promise<void> {
    const response = await ask(`${root}/data`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `sylvigie-${person.id}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  return (
    <li>
      <span>
        <strong>{person.name}</strong> {person.email ?? ""} {ended ? `(${t().disabled})` : ""}{" "}
        {person.by_provider ? `(${t().byProvider})` : ""}
      </span>
      {ended ? null : (
        <>
          <RoleChoice
            value={role.value}
            onChange={(value) => {
              role.value = value;
            }}
          />
          <label>
            {t().departements}
            <input
              size={10}
              value={departements.value}
              onInput={(event) => {
                departements.value = event.currentTarget.value;
              }}
            />
          </label>
          <button
            type="button"
            class="second"
            onClick={() =>
              act(() =>
                ask(root, { method: "PATCH", body: { role: role.value, departements: codes(departements.value) } }),
              )
            }
          >
            {t().save}
          </button>
          <button
            type="button"
            class="second"
            onClick={() =>
              confirm(t().disableSure(person.name)) && act(() => ask(`${root}/disable`, { method: "POST" }))
            }
          >
            {t().disable}
          </button>
        </>
      )}
      <button type="button" class="second" onClick={() => act(data)}>
        {t().data}
      </button>
      <button
        type="button"
        class="danger"
        onClick={() => confirm(t().eraseSure(person.name)) && act(() => ask(`${root}/erase`, { method: "POST" }))}
      >
        {t().erase}
      </button>
    </li>
  );
}

export function Audit() {
  const lines = useAsked<Schemas["AuditLine"][]>("users/audit/log");
  const moment = new Intl.DateTimeFormat(language.value, { dateStyle: "short", timeStyle: "short" });
  return (
    <div>
      <Waits of={lines} />
      <table>
        <tbody>
          {lines.told.value?.map((line) => (
            <tr key={`${line.at}${line.action}${line.subject}`}>
              <td>{moment.format(new Date(line.at))}</td>
              <td>{line.actor}</td>
              <td>{line.action}</td>
              <td>{line.subject}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
