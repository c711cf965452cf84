// Starts Swagger UI; nothing is asked of any other server (no validator, no fonts).
SwaggerUIBundle({
  url: "/api/doc/v1/specs/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: false,
  validatorUrl: null,
});
