import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SignalboxError } from '../../src/base/errors.ts';
import { hardwareProfile, hardwareProfiles } from '../../src/engine/model/profiles.ts';
import { profileNamed, profileYaml, readProfile } from '../../src/replay/profile-file.ts';

test('every built-in profile survives being written and read', () => {
  for (const profile of Object.values(hardwareProfiles)) {
    assert.deepEqual(readProfile(profileYaml(profile, 'two\nlines'), 'p.yaml'), profile);
  }
});

test('a file that is not a profile is refused with its place', () => {
  const text = profileYaml(hardwareProfile('qwen3-32b-2xh100'), 'x').replace('weights: 13000', 'wieghts: 13000');
  assert.throws(
    () => readProfile(text, 'p.yaml'),
    (error) => error instanceof SignalboxError && /p\.yaml:\d+:\d+.*wieghts.*weights/s.test(error.message),
  );
});

test('an unknown name is answered with those there are', () => {
  assert.throws(() => profileNamed('abacus'), /qwen3-32b-2xh100/);
});
