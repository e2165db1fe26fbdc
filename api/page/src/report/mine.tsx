/** One's reports: begun, waiting, received. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { go } from "../navigation";
import { allDrafts, dropDraft, keepDraft, type ReportDraft } from "../offline/drafts";
import { errands } from "../offline/outbox";
import { QueueList } from "../offline/queue_list";
import { askJson, NotReached, type Schemas } from "../server/client";
import { may } from "../session";
import { day } from "../words";
import { t } from "./words";
import "./report.css";

type Report = Schemas["Report"];

export default function Mine() {
  const drafts = useSignal<ReportDraft[]>([]);
  const received = useSignal<Report[] | string | null>(null);

  async function look(): Promise<void> {
    drafts.value = await allDrafts();
    try {
      const { reports } = await askJson<Schemas["Reports"]>("reports");
      received.value = newest(reports);
    } catch (error) {
      received.value =
        error instanceof NotReached ? t().offline : error instanceof Error ? error.message : String(error);
    }
  }
  const sent = errands.value.filter((one) => one.state === "sent").length;
  useEffect(() => void look(), [sent]);

  /** Write a version over a report that the service has. */
  async function edit(report: Report): Promise<void> {
    await keepDraft({
      reportId: report.id,
      alertId: report.alert_id,
      ofVersion: report.version,
      observedOn: report.observed_on,
      answers: report.answers,
      outline: report.outline as ReportDraft["outline"],
      photos: [],
      changedAt: new Date().toISOString(),
    });
    go(formOf(report.alert_id));
  }

  if (!may("report")) {
    return (
      <section class="paper">
        <p>{t().notAllowed}</p>
        <a class="button" href="/connexion">
          {t().signIn}
        </a>
      </section>
    );
  }
  return (
    <section class="paper">
      <h1>{t().mine}</h1>
      <h2>{t().drafts}</h2>
      {drafts.value.length === 0 ? <p class="muted">{t().noDrafts}</p> : null}
      <ul class="lines">
        {drafts.value.map((draft) => (
          <li key={draft.reportId}>
            <span>
              {draft.alertId} · {day(draft.observedOn)} · {t().photoCount(draft.photos.length)}
            </span>
            <a class="button" href={formOf(draft.alertId)}>
              {t().resume}
            </a>
            <button
              type="button"
              class="second"
              onClick={() => confirm(t().dropSure) && void dropDraft(draft.reportId).then(look)}
            >
              {t().dropDraft}
            </button>
          </li>
        ))}
      </ul>
      <h2>{t().queue}</h2>
      <QueueList />
      <h2>{t().received}</h2>
      <Received found={received.value} edit={(report) => void edit(report)} />
    </section>
  );
}

function Received({ found, edit }: { found: Report[] | string | null; edit: (report: Report) => void }) {
  if (found === null) return <p>{t().loading}</p>;
  if (typeof found === "string") return <p class="muted">{found}</p>;
  if (found.length === 0) return <p class="muted">{t().noneReceived}</p>;
  return (
    <ul class="lines">
      {found.map((report) => (
        <li key={report.id}>
          <span>
            <a href={`/alertes/${encodeURIComponent(report.alert_id)}`}>{report.alert_id}</a> ·{" "}
            {day(report.observed_on)} · {t().version(report.version)}
          </span>
          <button type="button" class="second" onClick={() => edit(report)}>
            {t().edit}
          </button>
        </li>
      ))}
    </ul>
  );
}

function formOf(alertId: string): string {
  return `/alertes/${encodeURIComponent(alertId)}/fiche`;
}

/** The newest version of each report, the newest report first. */
export function newest(reports: readonly Report[]): Report[] {
  const last = new Map<string, Report>();
  for (const report of reports) {
    if (report.version >= (last.get(report.id)?.version ?? 0)) last.set(report.id, report);
  }
  return [...last.values()].sort((one, other) => other.received_at.localeCompare(one.received_at));
}
