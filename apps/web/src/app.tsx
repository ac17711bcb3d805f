import type { ComponentChildren, ComponentType } from "preact";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";
import { Activity } from "./pages/activity.tsx";
import { BookPage, BooksPage, ReaderPage, SearchPage, TagPage } from "./pages/books.tsx";
import { HomePage, NotFoundPage } from "./pages/home.tsx";
import { EditPage, PasskeyPage, ProfilePage, SettingsPage } from "./pages/person.tsx";
import { SessionProvider, useSession } from "./session.tsx";
import { Failed, Waiting } from "./shown.tsx";
import { SignIn } from "./sign-in.tsx";

const LINKS = [
  ["/books", "Books"],
  ["/search/books", "Search"],
  ["/tastes", "Likes"],
  ["/histories", "History"],
  ["/settings", "Settings"],
] as const;

/** Shows `page` to a person, and the sign-in in its place to everybody else. */
function signedIn(Page: ComponentType): ComponentType {
  return function Guarded() {
    const { session } = useSession();
    switch (session.state) {
      case "unknown":
        return <Waiting />;
      case "failed":
        return <Failed error={session.error} />;
      case "out":
        return <SignIn />;
      case "in":
        return <Page />;
    }
  };
}

const PAGES: readonly (readonly [path: string, page: ComponentType])[] = [
  ["/", HomePage],
  ["/books", signedIn(BooksPage)],
  ["/books/:bookId", signedIn(BookPage)],
  ["/books/:bookId/reader", signedIn(ReaderPage)],
  ["/books/tags/:tagKind/:tagName", signedIn(TagPage)],
  ["/tastes", signedIn(() => <Activity title="Likes" path="/users/@me/likes" empty="You have not liked a book yet." />)],
  ["/histories", signedIn(() => <Activity title="History" path="/users/@me/histories" empty="You have not read a book yet." />)],
  ["/search/books", signedIn(SearchPage)],
  ["/settings", SettingsPage],
  ["/profile", signedIn(ProfilePage)],
  ["/profile/edit", signedIn(EditPage)],
  ["/profile/passkey", signedIn(PasskeyPage)],
];

function Shell({ children }: { children: ComponentChildren }) {
  const { path } = useLocation();
  const { session } = useSession();
  const isHere = (link: string) => path === link || path.startsWith(`${link}/`);
  return (
    <>
      <header>
        <a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28" />Library</a>
        <nav aria-label="Pages">
          {LINKS.map(([link, name]) => (
            <a href={link} aria-current={isHere(link) ? "page" : undefined}>{name}</a>
          ))}
        </nav>
        {session.state === "in" && <a class="person" href="/profile">{session.person.name}</a>}
      </header>
      <main>{children}</main>
    </>
  );
}

export function App() {
  return (
    <LocationProvider>
      <SessionProvider>
        <Shell>
          <Router>
            {PAGES.map(([path, page]) => <Route key={path} path={path} component={page} />)}
            <Route default component={NotFoundPage} />
          </Router>
        </Shell>
      </SessionProvider>
    </LocationProvider>
  );
}
