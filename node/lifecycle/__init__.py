"""What becomes of memories after they were made: archive, return, forgetting, consolidation.

Law: nothing here is a way of its own to change anything; every change is drafts in the funnel.
"""
