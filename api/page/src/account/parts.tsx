/** Fields and messages that the forms of accounts share. */

import type { Signal } from "@preact/signals";
import { useId } from "preact/hooks";

type InputProps = {
  label: string;
  value: Signal<string>;
  type?: "text" | "email" | "password";
  autocomplete: AutoFill;
  minLength?: number;
  maxLength?: number;
};

export function Input({ label, value, type = "text", autocomplete, minLength, maxLength = 254 }: InputProps) {
  const id = useId();
  const common = {
    id,
    required: true,
    autocomplete,
    ...(minLength === undefined ? {} : { minLength }),
    maxLength,
    value: value.value,
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      value.value = event.currentTarget.value;
    },
  };
  return (
    <div class="input">
      <label for={id}>{label}</label>
      {type === "text" ? <input type="text" {...common} /> : null}
      {type === "email" ? <input type="email" {...common} /> : null}
      {type === "password" ? <input type="password" {...common} /> : null}
    </div>
  );
}

export function Problem({ said }: { said: string | null }) {
  return said === null ? null : (
    <p class="problem" role="alert">
      {said}
    </p>
  );
}
