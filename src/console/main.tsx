import { render } from 'preact';
import { App } from './app.tsx';
import { applyTheme } from './theme-choice.ts';

applyTheme();
render(<App />, document.body);
