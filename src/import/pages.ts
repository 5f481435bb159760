export function* pagesOf<Row>(rows: Iterable<Row>, pageRows: number): Generator<readonly Row[]> {
  let page: Row[] = [];
  for (const row of rows) {
    page.push(row);
    if (page.length === pageRows) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}
