/** What the launcher gives Node, for whoever starts the command line without it. */
export const nodeFlags: readonly string[] = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=64'];
