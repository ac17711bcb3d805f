import { useState } from "preact/hooks";
import { requestCode, signIn, type ApiError } from "./api.ts";
import { asApiError, useSession } from "./session.tsx";

/** What the auth service answers to a code that it did not send or that is used up; 400 when it has the wrong form. */
const REFUSED_CODE: readonly number[] = [400, 401, 404];

/** Stands in the place of a page that needs a session; afterwards the page is there, at the same address. */
export function SignIn() {
  const { ask } = useSession();
  const [email, setEmail] = useState("");
  const [code, setCode] = useState("");
  const [isSent, setSent] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError>();

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setFailure(undefined);
    try {
      if (isSent) {
        await signIn(email, code.trim());
        await ask();
      } else {
        await requestCode(email);
        setSent(true);
      }
    } catch (error) {
      setFailure(asApiError(error));
    } finally {
      setBusy(false);
    }
  };

  const words = failure && (isSent && REFUSED_CODE.includes(failure.status) ? "This code is not valid. Check it, or request another." : failure.words);
  return (
    <section class="panel" aria-labelledby="sign-in">
      <h1 id="sign-in">Sign in</h1>
      <p class="quiet">{isSent ? `We sent a code to ${email}.` : "We send a code to your address. There is no password."}</p>
      <form onSubmit={submit}>
        <label>
          E-mail
          <input type="email" name="email" autocomplete="email" required readOnly={isSent} value={email} onInput={(event) => setEmail(event.currentTarget.value)} />
        </label>
        {isSent && (
          <label>
            Code
            <input name="code" autocomplete="one-time-code" required autofocus value={code} onInput={(event) => setCode(event.currentTarget.value)} />
          </label>
        )}
        {words && <p role="alert" class="alert">{words}</p>}
        <div class="row">
          <button type="submit" class="primary" disabled={isBusy}>{isSent ? "Sign in" : "Send a code"}</button>
          {isSent && (
            <button type="button" onClick={() => { setSent(false); setCode(""); setFailure(undefined); }}>Another address</button>
          )}
        </div>
      </form>
    </section>
  );
}
