import type { FieldReader, MessageWriter } from './protobuf.ts';

/** What a `google.protobuf.Value` holds, as far as metadata uses it; null stands for everything else. */
export type StructValue = string | number | readonly StructValue[] | null;

const deepest = 8;

/**
 * The value under `key` in a map, whose entries are what the reader's fields `number` hold; a reader of that value, or
 * null. Of several the last counts.
 */
export function mapValue(map: FieldReader, number: number, key: string): FieldReader | null {
  let found: FieldReader | null = null;
  while (map.next()) {
    if (map.number !== number) continue;
    const entry = map.inside();
    let name = '';
    let value: FieldReader | null = null;
    while (entry.next()) {
      if (entry.number === 1) name = entry.text();
      else if (entry.number === 2) value = entry.inside();
    }
    if (name === key && value !== null) found = value;
  }
  return found;
}

/** Value: 2 number_value, 3 string_value, 6 list_value{1 values}. */
export function readValue(value: FieldReader, depth = 0): StructValue {
  let read: StructValue = null;
  while (value.next()) {
    if (value.number === 2) read = value.value;
    else if (value.number === 3) read = value.text();
    else if (value.number === 6 && depth < deepest) {
      const values: StructValue[] = [];
      for (const list = value.inside(); list.next();)
        if (list.number === 1) values.push(readValue(list.inside(), depth + 1));
      read = values;
    }
  }
  return read;
}

/** Struct: 1 fields, a map of Values. Writes one of its entries, a string. */
export function writeTextEntry(writer: MessageWriter, name: string, text: string): void {
  const entry = writer.open(1);
  writer.text(1, name);
  const value = writer.open(2);
  writer.text(3, text);
  writer.close(value);
  writer.close(entry);
}
