"""Show videos as strips, GIFs and tables, and predictions as cards, in a notebook."""

from vidbench.visualize.cards import prediction_card as prediction_card
from vidbench.visualize.cards import show_wrong as show_wrong
from vidbench.visualize.cards import wrong_rows as wrong_rows
from vidbench.visualize.videos import Html as Html
from vidbench.visualize.videos import encode_jpeg as encode_jpeg
from vidbench.visualize.videos import frame_strip as frame_strip
from vidbench.visualize.videos import gif as gif
from vidbench.visualize.videos import make_video_table as make_video_table
from vidbench.visualize.videos import read_frames as read_frames
from vidbench.visualize.videos import show_image as show_image
from vidbench.visualize.videos import show_video_table as show_video_table
