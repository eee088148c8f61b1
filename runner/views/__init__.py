"""What people look at: tables, a report, dashboards. Views read run directories only and hold no state of their own."""
