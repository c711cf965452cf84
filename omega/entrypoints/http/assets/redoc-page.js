// Starts ReDoc, in fonts that are there already.
Redoc.init(
  "/api/doc/v1/specs/openapi.json",
  { theme: { typography: { fontFamily: "system-ui, sans-serif", headings: { fontFamily: "system-ui, sans-serif" } } } },
  document.getElementById("page"),
);
