import { useLocation } from "preact-iso";
import { useState } from "preact/hooks";
import { change, type ApiError } from "../api.ts";
import { asApiError, useSession } from "../session.tsx";
import { Failed } from "../shown.tsx";

export function SettingsPage() {
  const { session, leave } = useSession();
  const [failure, setFailure] = useState<ApiError>();
  const signOut = () => {
    setFailure(undefined);
    leave().catch((error: unknown) => setFailure(asApiError(error)));
  };
  return (
    <section class="panel">
      <h1>Settings</h1>
      {session.state === "in" ? (
        <>
          <p>Signed in as <strong>{session.person.email}</strong>.</p>
          <button type="button" onClick={signOut}>Sign out</button>
        </>
      ) : (
        <p>You are signed out. <a href="/profile">Sign in</a></p>
      )}
      {failure && <Failed error={failure} />}
    </section>
  );
}

export function ProfilePage() {
  const { session } = useSession();
  if (session.state !== "in") return null;
  const { person } = session;
  return (
    <section class="panel">
      <h1>{person.name}</h1>
      <p class="quiet">{person.email}</p>
      <p class="row">
        <a class="button" href="/profile/edit">Change the name</a>
        <a class="button" href="/profile/passkey">Passkeys</a>
      </p>
    </section>
  );
}

export function EditPage() {
  const { session, ask } = useSession();
  const { route } = useLocation();
  const [name, setName] = useState(session.state === "in" ? session.person.name : "");
  const [failure, setFailure] = useState<ApiError>();
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      await change("PATCH", "/users/@me", { name });
      await ask();
      route("/profile");
    } catch (error) {
      setFailure(asApiError(error));
    }
  };
  return (
    <section class="panel">
      <h1>Change the name</h1>
      <form onSubmit={submit}>
        <label>
          Name
          <input name="name" autocomplete="name" required maxLength={20} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        {failure && <Failed error={failure} />}
        <button type="submit" class="primary">Save</button>
      </form>
    </section>
  );
}

export function PasskeyPage() {
  return (
    <section class="panel">
      <h1>Passkeys</h1>
      <p class="quiet">The service has no passkeys yet. You sign in with a code from your mail.</p>
      <p><a class="button" href="/profile">Profile</a></p>
    </section>
  );
}
