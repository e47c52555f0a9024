"""HTML reports of finished runs, one self-contained file each, from the runs' folders alone."""

from vidbench.report.run_page import NUM_THUMBNAILS as NUM_THUMBNAILS
from vidbench.report.run_page import ReportOptions as ReportOptions
from vidbench.report.run_page import write_report as write_report
