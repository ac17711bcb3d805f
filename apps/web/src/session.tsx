import { createContext, type ComponentChildren } from "preact";
import { useCallback, useContext, useEffect, useState } from "preact/hooks";
import { ApiError, read, signOut, type Person } from "./api.ts";

/** What the application knows about the session. It asks once, and then follows the answers of the API. */
export type Session =
  | { readonly state: "unknown" }
  | { readonly state: "out" }
  | { readonly state: "in"; readonly person: Person }
  | { readonly state: "failed"; readonly error: ApiError };

interface Door {
  readonly session: Session;
  /** Asks again who is signed in. */
  readonly ask: () => Promise<void>;
  /** Ends the session. */
  readonly leave: () => Promise<void>;
  /** The API answered that there is no session. */
  readonly ended: () => void;
}

const Context = createContext<Door | undefined>(undefined);

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(0, String(error));
}

export function SessionProvider({ children }: { children: ComponentChildren }) {
  const [session, set] = useState<Session>({ state: "unknown" });
  const ended = useCallback(() => set({ state: "out" }), []);
  const ask = useCallback(async () => {
    try {
      set({ state: "in", person: await read<Person>("/users/@me") });
    } catch (error) {
      const failure = asApiError(error);
      set(failure.status === 401 ? { state: "out" } : { state: "failed", error: failure });
    }
  }, []);
  const leave = useCallback(async () => {
    await signOut();
    ended();
  }, [ended]);
  useEffect(() => void ask(), [ask]);
  return <Context.Provider value={{ session, ask, leave, ended }}>{children}</Context.Provider>;
}

export function useSession(): Door {
  const door = useContext(Context);
  if (door === undefined) throw new Error("useSession is used outside SessionProvider");
  return door;
}

/** What a page has read, or why not. */
export type Reading<T> =
  | { readonly state: "reading" }
  | { readonly state: "read"; readonly value: T }
  | { readonly state: "failed"; readonly error: ApiError };

/** Reads `path` of the API; again when `path` changes. An answer that comes after the page has changed is dropped. */
export function useReading<T>(path: string): Reading<T> {
  const { ended } = useSession();
  const [reading, set] = useState<Reading<T> & { readonly path: string }>({ state: "reading", path });
  useEffect(() => {
    let isCurrent = true;
    set({ state: "reading", path });
    read<T>(path).then(
      (value) => isCurrent && set({ state: "read", value, path }),
      (error: unknown) => {
        if (!isCurrent) return;
        const failure = asApiError(error);
        set({ state: "failed", error: failure, path });
        if (failure.status === 401) ended();
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [path, ended]);
  // Until the effect has run, the state is that of the page before.
  return reading.path === path ? reading : { state: "reading" };
}
