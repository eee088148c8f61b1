"""Views: tables, reports, dashboards. They read only run directories and have no state of their own."""
