import { messageField, readFields, textField, type Part } from './protobuf.ts';

/** What a `google.protobuf.Value` holds, as far as metadata uses it; null stands for everything else. */
export type StructValue = string | number | readonly StructValue[] | null;

const deepest = 8;

/** Reads a `map<string, V>`'s entry. */
export function readEntry(entry: Buffer): { key: string; value: Buffer } {
  let key = '';
  let value: Buffer = Buffer.alloc(0);
  readFields(entry, ({ number, bytes }) => {
    if (number === 1) key = bytes.toString();
    else if (number === 2) value = bytes;
  });
  return { key, value };
}

/** The member `name` of a `google.protobuf.Struct`; undefined when it has none. */
export function structMember(struct: Buffer, name: string): StructValue | undefined {
  let found: StructValue | undefined;
  readFields(struct, ({ number, bytes }) => {
    if (number !== 1) return;
    const { key, value } = readEntry(bytes);
    if (key === name) found = readValue(value, 0);
  });
  return found;
}

/** Value: 2 number_value, 3 string_value, 6 list_value{1 values}. */
function readValue(value: Buffer, depth: number): StructValue {
  let read: StructValue = null;
  readFields(value, ({ number, value: numeric, bytes }) => {
    if (number === 2) read = numeric;
    else if (number === 3) read = bytes.toString();
    else if (number === 6 && depth < deepest) {
      const values: StructValue[] = [];
      readFields(bytes, (item) => {
        if (item.number === 1) values.push(readValue(item.bytes, depth + 1));
      });
      read = values;
    }
  });
  return read;
}

/** The content of a Struct with one member that is a Struct with one member that is a string. */
export function nestedText(outer: string, inner: string, text: string): Part {
  const value = messageField(2, textField(3, text));
  const struct = messageField(5, messageField(1, textField(1, inner), value));
  return messageField(1, textField(1, outer), messageField(2, struct));
}
