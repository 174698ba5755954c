"""Numbers that kernel and page go by."""

from __future__ import annotations

PROTOCOL = 3

FRAME_BYTES = 98 * 1024  # the largest `frame`, after compression: with the script, a saved notebook takes 0.3 MB
WHOLE_WEIGHTS = 1 << 18  # a head of more weights is not sent whole, but the part of it that is looked at
LIVE_WEIGHTS = 1 << 15  # of heads of more weights than this, new rows travel only while they are shown
FRAME_WHOLE = 1 << 17  # the same in a frame, which its bytes can hold
FRAME_WEIGHTS = 1 << 18  # of all heads in a frame, as many as its bytes can hold
PAGE_WEIGHTS = 1 << 18  # of a picture in an exported page: what takes some milliseconds to read
AHEAD_WEIGHTS = 1 << 22  # of a whole page, up to which they are read before somebody asks for them
ROWS_BYTES = 512 * 1024  # of rows of a large head in a message
CELLS = 256  # along an axis: as many as there are places for on a screen
EXACT_BYTES = 64 * 1024  # up to here a frame holds float32
MESSAGE_BYTES = 4 * 1024 * 1024  # the largest message
LIVE_MESSAGE_BYTES, LIVE_ROWS = 1024 * 1024, 512  # and while recording: a model would feel what takes longer
LIVE_BYTES = 256 * 1024  # while recording, rows of sites that are not shown leave only within this, a message
STEP_BYTES = 64 * 1024  # a site whose rows are larger than this for one step is not streamed but fetched
MESSAGES_PER_SECOND = 10  # for each widget; the server drops everything past 1,000 a second
FRAMES_PER_SECOND = 2  # while streaming

FRAME_TOKENS = 1 << 13  # of one strip in a frame
TEXTS_TOKENS, TEXTS_CHARS = 1 << 16, 1 << 20  # of one strip in a message, and their characters

TERMS_BYTES = 32 * 1024  # what the weights of the selected head came of, in a frame
SCENE_BYTES = 96 * 1024  # pixels of one strip; larger scenes are sent smaller

HEADS_BYTES = 64 * 1024  # pictures of all heads in a frame, or of those of one site in a message
HEADS_WEIGHTS = 1 << 24  # a frame tells of heads of this many weights in all; others are asked for
HEADS_WEIGHTS_LIVE = 1 << 18  # the same while recording

MEAN = -1  # the head that stands for the mean over heads
