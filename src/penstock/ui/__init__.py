"""The pages that a team looks at: pipelines, runs, models, what was decided; read from the catalog of a store."""
