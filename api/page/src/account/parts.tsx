/** Fields and messages that the forms of accounts share. */
import type { Signal } from "@preact/signals";

type InputProps = {
  label: string;
  value: Signal<string>;
  type?: "text" | "email" | "password";
  autocomplete: AutoFill;
  minLength?: number;
  maxLength?: number;
};

export function Input({ label, value, type = "text", autocomplete, minLength, maxLength = 254 }: InputProps) {
  return (
    <label class="input">
      {label}
      <input
        type={type}
        required
        autocomplete={autocomplete}
        {...(minLength === undefined ? {} : { minLength })}
        maxLength={maxLength}
        value={value.value}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}

export function Problem({ said }: { said: string | null }) {
  return said === null ? null : (
    <p class="problem" role="alert">
      {said}
    </p>
  );
}
