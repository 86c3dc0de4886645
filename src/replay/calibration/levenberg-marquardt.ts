const iterationLimit = 200;
const difference = 1e-5;

/**
 * Parameters that make the sum of squared residuals small, starting from `start`: Levenberg's and Marquardt's damped
 * least squares, with derivatives by differences. For a handful of parameters on scales near 1.
 */
export function levenbergMarquardt(
  residuals: (parameters: readonly number[]) => readonly number[],
  start: readonly number[],
): { parameters: number[]; cost: number } {
  let parameters = [...start];
  let current = residuals(parameters);
  let cost = sumOfSquares(current);
  let damping = 1e-2;
  for (let iteration = 0; iteration < iterationLimit && damping < 1e9; iteration++) {
    const columns = parameters.map((value, at) => {
      const moved = residuals(parameters.with(at, value + difference));
      return moved.map((residual, row) => (residual - current[row]!) / difference);
    });
    const gradient = columns.map((column) => dot(column, current));
    const normal = columns.map((left, at) =>
      columns.map((right, other) => dot(left, right) * (at === other ? 1 + damping : 1)),
    );
    const move = solve(normal, gradient);
    const next = parameters.map((value, at) => value - move[at]!);
    const nextResiduals = residuals(next);
    const nextCost = sumOfSquares(nextResiduals);
    if (nextCost < cost) {
      const isDone = cost - nextCost < 1e-12 * cost;
      [parameters, current, cost] = [next, nextResiduals, nextCost];
      damping /= 4;
      if (isDone) break;
    } else {
      damping *= 4;
    }
  }
  return { parameters, cost };
}

/** Gaussian elimination with pivoting; a row without a pivot (a parameter that changes nothing) stays 0. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, at) => [...row, right[at]!]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const top = rows[column]!;
    if (Math.abs(top[column]!) < 1e-300) continue;
    for (let row = 0; row < size; row++) {
      const factor = row === column ? 0 : rows[row]![column]! / top[column]!;
      if (factor !== 0) for (let at = column; at <= size; at++) rows[row]![at]! -= factor * top[at]!;
    }
  }
  return rows.map((row, at) => (Math.abs(row[at]!) < 1e-300 ? 0 : row[size]! / row[at]!));
}

function dot(left: readonly number[], right: readonly number[]): number {
  return left.reduce((sum, value, at) => sum + value * right[at]!, 0);
}

function sumOfSquares(values: readonly number[]): number {
  return dot(values, values);
}
