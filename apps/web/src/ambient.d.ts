/** The public configuration, which the build replaces (`config.ts`). */
declare const __CONFIG__: import("../config.ts").PublicConfig;

declare module "*.css";
