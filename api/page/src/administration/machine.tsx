/** How the runs went, where nothing could be seen, which models are in use. */
import type { Schemas } from "../server/client";
import { language, number } from "../words";
import { useAsked, Waits } from "./asked";
import { t } from "./words";

type Run = Schemas["RunTold"];

export function Runs() {
  const runs = useAsked<Run[]>("administration/runs");
  return (
    <div>
      <Waits of={runs} />
      {runs.told.value?.length === 0 ? <p class="muted">{t().none}</p> : null}
      {runs.told.value?.map((run) => (
        <details key={run.name}>
          <summary>
            {run.damaged ? `${run.name} : ${t().damaged}` : t().run(run.command ?? "", run.month ?? "")} · {t().exit}{" "}
            {run.exit_code ?? ""} · {t().tiles(run.tiles.length)}
            {run.seconds == null ? "" : ` · ${number(run.seconds / 60, 1)} ${t().minutes}`}
            {run.alerts == null
              ? ""
              : ` · ${t().alerts(run.alerts.new ?? 0, run.alerts.grown ?? 0, run.alerts.closed ?? 0)}`}
          </summary>
          {[run.tracking_error, run.store_error, run.pictures_error, run.notices_error, ...(run.warnings ?? [])]
            .filter(Boolean)
            .map((said) => (
              <p key={said} class="problem">
                {said}
              </p>
            ))}
          <table>
            <tbody>
              {run.tiles.map((tile) => (
                <tr key={tile.tile}>
                  <td>{tile.tile}</td>
                  <td>{tile.status}</td>
                  <td>{tile.observed_share === null ? "" : `${number(tile.observed_share * 100)} %`}</td>
                  <td>
                    {number((tile.bytes_read ?? 0) / 1e9, 2)} {t().gigabytes}
                  </td>
                  <td title={tile.scenes_left_out.map((one) => `${one.id}: ${one.reason}`).join("\n")}>
                    {t().leftOut(tile.scenes_left_out.length)}
                  </td>
                  <td>{tile.message ?? ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      ))}
    </div>
  );
}

const LITTLE = 0.5;

export function Observed() {
  const shares = useAsked<Record<string, Record<string, number>>>("administration/observed");
  const told = shares.told.value;
  const months = Object.keys(told ?? {});
  const tiles = [...new Set(Object.values(told ?? {}).flatMap((month) => Object.keys(month)))].sort();
  return (
    <div>
      <p>{t().observedHelp}</p>
      <Waits of={shares} />
      {told !== null && months.length === 0 ? <p class="muted">{t().none}</p> : null}
      {months.length === 0 ? null : (
        <div class="wide-table">
          <table>
            <thead>
              <tr>
                <th>{t().month}</th>
                {tiles.map((tile) => (
                  <th key={tile}>{tile}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {months.map((month) => (
                <tr key={month}>
                  <th>{month}</th>
                  {tiles.map((tile) => {
                    const share = told?.[month]?.[tile];
                    return (
                      <td key={tile} class={share === undefined ? "" : share < LITTLE ? "little" : "seen"}>
                        {share === undefined ? "" : `${number(share * 100)} %`}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

export function Models() {
  const models = useAsked<Schemas["ModelTold"][]>("administration/models");
  return (
    <div>
      <Waits of={models} />
      <ul class="lines" lang={language.value}>
        {models.told.value?.map((model) => (
          <li key={model.id}>
            <span>
              <strong>{model.id}</strong> · {model.shipped ? t().shipped : t().trained}{" "}
              {model.in_use ? `· ${t().inUse}` : ""} {model.made_on ?? ""}
              <br />
              <small class="muted" lang="en">
                {model.problem ?? model.summary}
              </small>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
