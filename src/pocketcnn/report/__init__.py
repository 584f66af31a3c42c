"""Reports of results, as HTML pages and as CSV."""

from pocketcnn.records.result import FitResult as FitResult
from pocketcnn.report.csv import write_csv as write_csv
from pocketcnn.report.examples import Example as Example
from pocketcnn.report.html import write_report as write_report
