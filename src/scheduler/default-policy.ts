import type { EndpointPickerConfig } from './config.ts';

/** What decides when nobody configured anything. */
export const defaultPolicy: EndpointPickerConfig = {
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
