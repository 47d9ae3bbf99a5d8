"""``smoke``: run the smallest pipeline in an account, compare AWS's answers with the expected ones, clean up.

================ =====================================================================
module           holds
================ =====================================================================
``command``      the command line: checks, plan, question, result
``place``        the names of one run, and a client that records AWS's answers
``stages``       what is called, in order, with the functions of the operators
``removal``      what finds and removes everything that the run created
``running``      the stages and the removal, whatever happens in between
``report``       the files that can be attached to a bug
``anonymous``    what replaces the names of an account in the report
================ =====================================================================
"""
