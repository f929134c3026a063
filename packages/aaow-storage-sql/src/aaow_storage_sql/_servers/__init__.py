"""What backends of database servers share: pools of threads, each with a connection that is watched and cancelled."""
