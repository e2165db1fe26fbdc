/** The form of filters: what it says is in the address at once. */
import { filterBy, filters, type Name } from "./filters";
import { t } from "./words";

const CRITERIA = ["area", "steep_block", "natura2000"];

export function FilterForm() {
  const chosen = filters.value;
  const [since = "", until = ""] = (chosen.datetime ?? "").split("/").map((side) => (side === ".." ? "" : side));

  function set(name: Name, value: string): void {
    filterBy({ ...chosen, [name]: value });
  }
  function setDays(from: string, to: string): void {
    set("datetime", from === "" && to === "" ? "" : `${from || ".."}/${to || ".."}`);
  }
  return (
    <form
      class="filters"
      onSubmit={(event) => event.preventDefault()}
      onReset={() => {
        filterBy({});
      }}
    >
      <Text
        name="departement"
        pattern="\s*([0-9][0-9AB]|97[1-6])(\s*,\s*([0-9][0-9AB]|97[1-6]))*\s*"
        value={chosen.departement}
        set={set}
      />
      <Text name="commune" value={chosen.commune} set={set} />
      <label>
        {t().names.since}
        <input type="date" value={since} onChange={(event) => setDays(event.currentTarget.value, until)} />
      </label>
      <label>
        {t().names.until}
        <input type="date" value={until} onChange={(event) => setDays(since, event.currentTarget.value)} />
      </label>
      <label>
        {t().names.min_area_ha}
        <input
          type="number"
          min={0}
          step={0.5}
          value={chosen.min_area_ha ?? ""}
          onChange={(event) => set("min_area_ha", event.currentTarget.value)}
        />
      </label>
      <label>
        {t().names.min_probability}
        <input
          type="number"
          min={0}
          max={100}
          step={5}
          value={chosen.min_probability === undefined ? "" : Math.round(Number(chosen.min_probability) * 100)}
          onChange={(event) =>
            set(
              "min_probability",
              event.currentTarget.value === "" ? "" : String(Number(event.currentTarget.value) / 100),
            )
          }
        />
      </label>
      <Choice
        name="potentially_abusive"
        choices={{ true: t().yes, false: t().no }}
        value={chosen.potentially_abusive}
        set={set}
      />
      <Choice
        name="criterion"
        choices={Object.fromEntries(CRITERIA.map((code) => [code, t().criterion[code] ?? code]))}
        value={chosen.criterion}
        set={set}
      />
      <Choice name="state" choices={t().state} value={chosen.state} set={set} />
      <Choice name="review" choices={t().review} value={chosen.review} set={set} />
      <Choice
        name="sortby"
        choices={Object.fromEntries(Object.entries(t().sort).filter(([code]) => code !== ""))}
        none={t().sort[""]}
        value={chosen.sortby}
        set={set}
      />
      <button type="reset" class="second">
        {t().reset}
      </button>
    </form>
  );
}

type FieldProps = {
  name: Exclude<Name, "datetime">;
  value: string | undefined;
  set: (name: Name, value: string) => void;
};

function Text({ name, value, set, pattern }: FieldProps & { pattern?: string }) {
  return (
    <label>
      {t().names[name]}
      <input
        type="text"
        value={value ?? ""}
        {...(pattern === undefined ? {} : { pattern })}
        onChange={(event) => {
          const input = event.currentTarget;
          const told = input.value.replaceAll(/\s*,\s*/g, ",").trim();
          if (input.checkValidity()) set(name, name === "departement" ? told.toUpperCase() : told);
          else input.reportValidity();
        }}
      />
    </label>
  );
}

function Choice({
  name,
  value,
  set,
  choices,
  none,
}: FieldProps & { choices: Record<string, string>; none?: string | undefined }) {
  return (
    <label>
      {t().names[name]}
      <select value={value ?? ""} onChange={(event) => set(name, event.currentTarget.value)}>
        <option value="">{none ?? t().any}</option>
        {Object.entries(choices).map(([code, label]) => (
          <option key={code} value={code}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
