/**
 * The API, on a host of its own. The browser sends and keeps the session's cookies; no script can read them.
 */

/** An answer that is no success, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
    /** Seconds until another attempt makes sense, when the answer says so (`Retry-After`, RFC 9110 §10.2.3). */
    readonly retryAfter?: number,
  ) {
    super(`${status} ${body}`);
  }

  /** What a person reads. */
  get words(): string {
    switch (this.status) {
      case 0:
        return "The service cannot be reached. Check your connection and try again.";
      case 401:
        return "You are not signed in.";
      case 403:
        return "Your account may not do this.";
      case 404:
        return "There is nothing here.";
      case 429:
        return this.retryAfter === undefined
          ? "Too many attempts. Try again later."
          : `Too many attempts. Try again in ${duration(this.retryAfter)}.`;
      default:
        return this.status >= 500
          ? `The service has a problem (${this.status}). Try again in a moment.`
          : this.body || `The service refused this (${this.status}).`;
    }
  }
}

function duration(seconds: number): string {
  const [count, unit] = seconds < 120 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** How long one request may take, in milliseconds: longer than the edge waits for a backend. */
const PATIENCE_MS = 40_000;

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method, credentials: "include", signal: AbortSignal.timeout(PATIENCE_MS) };
  if (body !== undefined) {
    init.headers = { "content-type": "application/json" };
    init.body = JSON.stringify(body);
  }
  const answer = await fetch(__CONFIG__.api + path, init).catch(() => {
    throw new ApiError(0, "");
  });
  if (answer.ok) return answer;
  const wait = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  const text = await answer.text().catch(() => "");
  throw new ApiError(answer.status, text, Number.isNaN(wait) ? undefined : wait);
}

let renewal: Promise<boolean> | undefined;

/** Renews the session. Pages that need it at the same time share one attempt: a refresh token is good for one. */
function renew(): Promise<boolean> {
  renewal ??= send("PATCH", "/auth/token")
    .then(() => true)
    .catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 401) return false;
      throw error;
    })
    .finally(() => {
      renewal = undefined;
    });
  return renewal;
}

/** Sends a request. When the access token has expired, it renews the session and sends the request once more. */
async function authenticated(method: string, path: string, body?: unknown): Promise<Response> {
  try {
    return await send(method, path, body);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401 || !(await renew())) throw error;
    return await send(method, path, body);
  }
}

/** The person who is signed in. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: number;
}

export type Tag = readonly [kind: string, name: string];

export interface Book {
  readonly id: number;
  readonly title: string;
  readonly kind: string;
  readonly language?: string;
  readonly page?: number;
  readonly tags: readonly Tag[];
}

export async function read<T>(path: string): Promise<T> {
  return (await (await authenticated("GET", path)).json()) as T;
}

export async function change(method: "PATCH" | "POST", path: string, body: unknown): Promise<void> {
  await authenticated(method, path, body);
}

export async function requestCode(email: string): Promise<void> {
  await send("POST", "/auth/code", { email });
}

export async function signIn(email: string, code: string): Promise<void> {
  await send("POST", "/auth/token", { email, code });
}

/** Ends the session. A session that has ended already is no failure. */
export async function signOut(): Promise<void> {
  await send("DELETE", "/auth/token").catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  });
}
