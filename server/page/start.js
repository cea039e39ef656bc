// Shows the document of this server. Everything that would load from elsewhere is off.
Scalar.createApiReference('#reference', {
  url: 'openapi.yaml',
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: 'never',
  documentDownloadType: 'none',
});
