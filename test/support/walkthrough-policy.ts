import type { EndpointPickerConfig } from '../../src/scheduler/config.ts';

/** The walkthrough's scorers, with its weights. */
export const walkthroughPolicy: EndpointPickerConfig = {
  apiVersion: 'llm-d.ai/v1alpha1',
  kind: 'EndpointPickerConfig',
  plugins: [
    { type: 'decode-filter' },
    { type: 'prefix-aware-scorer' },
    { type: 'load-aware-scorer' },
    { type: 'max-score-picker' },
  ],
  schedulingProfiles: [
    {
      name: 'decode',
      plugins: [
        { pluginRef: 'decode-filter' },
        { pluginRef: 'prefix-aware-scorer', weight: 2 },
        { pluginRef: 'load-aware-scorer', weight: 1 },
        { pluginRef: 'max-score-picker' },
      ],
    },
  ],
};
