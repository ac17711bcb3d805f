/**
 * The public configuration of a build: everything that the application knows about where it runs.
 *
 * It is read once, when the application is built, and every byte of it can be read by everybody. So only the names below
 * are accepted, each with its own form, and the build reads no `.env` file.
 */
export interface PublicConfig {
  /** The origin of the API (RFC 6454), such as `https://api.example.com`. */
  readonly api: string;
}

/** Each variable, with the value of the edge `envoy/edges/web.yaml` on one machine. */
const VARIABLES = { VITE_API_ORIGIN: "https://api.cutover.localhost:8443" } as const;

/**
 * Reads the configuration from `environment`.
 *
 * Throws with every fault at once. A variable that begins with `VITE_` and is not known is a fault, because Vite would put
 * its value into the build.
 */
export function publicConfig(environment: Readonly<Record<string, string | undefined>>): PublicConfig {
  const faults = Object.keys(environment)
    .filter((name) => name.startsWith("VITE_") && !(name in VARIABLES))
    .map((name) => `${name} is not a variable of this build, and its value would be public; unset it`);
  const api = environment.VITE_API_ORIGIN || VARIABLES.VITE_API_ORIGIN;
  if (!isOrigin(api)) {
    faults.push("VITE_API_ORIGIN is not an origin; write one like https://api.example.com, without a path or a user");
  }
  if (faults.length > 0) {
    throw new Error(`the public configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  }
  return { api };
}

function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && ["http:", "https:"].includes(url.protocol) && url.origin === text;
}
