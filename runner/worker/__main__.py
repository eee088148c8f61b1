from runner.worker.main import main

raise SystemExit(main())
