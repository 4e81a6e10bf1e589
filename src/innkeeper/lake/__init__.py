"""The lake: change feed to Parquet files, the engines that read them, segments, exports, reports.

DuckDB and SQLGlot are imported where they are used: an idle process never loads them.
"""
