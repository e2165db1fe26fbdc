/** Photos of a report: from the camera, by what they show, kept as soon as they are taken. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { NoRoom } from "../offline/database";
import { addPhoto, type PhotoDraft, photoOf, type ReportDraft, removePhoto } from "../offline/drafts";
import { number } from "../words";
import { t } from "./words";

const KINDS = ["cut", "trunks", "soil", "access", "panel", "plantation"] as const;

export function Photos({ draft, onChange }: { draft: ReportDraft; onChange: (draft: ReportDraft) => void }) {
  const problem = useSignal<string | null>(null);

  async function take(kind: string, files: FileList | null): Promise<void> {
    problem.value = null;
    let now = draft;
    try {
      for (const file of files ?? []) {
        now = await addPhoto(now, kind, file);
        onChange(now);
      }
    } catch (error) {
      problem.value = error instanceof NoRoom ? t().noRoom : String(error);
    }
  }

  return (
    <div>
      <p class="muted">{t().photosHelp}</p>
      <div class="kinds">
        {KINDS.map((kind) => (
          <label key={kind} class="button second">
            {t().photoAdd[kind]}
            <input
              class="unseen"
              type="file"
              accept="image/*"
              capture="environment"
              multiple
              data-kind={kind}
              onChange={(event) => {
                const input = event.currentTarget;
                void take(kind, input.files).then(() => {
                  input.value = "";
                });
              }}
            />
          </label>
        ))}
      </div>
      {problem.value === null ? null : (
        <p class="problem" role="alert">
          {problem.value}
        </p>
      )}
      <p aria-live="polite">{t().photoCount(draft.photos.length)}</p>
      <ul class="taken">
        {draft.photos.map((photo) => (
          <li key={photo.id}>
            <Picture photo={photo} />
            <span>
              {t().photoAdd[photo.kind]}, {number(photo.bytes / 1e6, 1)} Mo
            </span>
            <button type="button" class="second" onClick={() => void removePhoto(draft, photo.id).then(onChange)}>
              {t().photoRemove}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Picture({ photo }: { photo: PhotoDraft }) {
  const address = useSignal<string | null>(null);
  useEffect(() => {
    let made: string | null = null;
    void photoOf(photo.id).then((blob) => {
      if (blob !== null) address.value = made = URL.createObjectURL(blob);
    });
    return () => {
      if (made !== null) URL.revokeObjectURL(made);
    };
  }, [photo.id]);
  return address.value === null ? (
    <span class="blank" />
  ) : (
    <img src={address.value} alt={photo.name} width={96} height={72} />
  );
}
