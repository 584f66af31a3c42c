"""Image folders as datasets: scanning, splits, input contract, preprocessing, augmentation, sample datasets."""

from pocketcnn.data.augment import POLICIES as POLICIES
from pocketcnn.data.augment import Augmentation as Augmentation
from pocketcnn.data.augment import build_augmentation as build_augmentation
from pocketcnn.data.contract import contract_notes as contract_notes
from pocketcnn.data.contract import describe as describe
from pocketcnn.data.contract import infer_contract as infer_contract
from pocketcnn.data.dataset import ImageDataset as ImageDataset
from pocketcnn.data.folder import DataFolder as DataFolder
from pocketcnn.data.folder import ImageFolder as ImageFolder
from pocketcnn.data.folder import Sample as Sample
from pocketcnn.data.folder import scan as scan
from pocketcnn.data.images import ImageProblem as ImageProblem
from pocketcnn.data.images import UnusableImage as UnusableImage
from pocketcnn.data.images import check_image as check_image
from pocketcnn.data.images import load_image as load_image
from pocketcnn.data.preprocess import preprocess as preprocess
from pocketcnn.data.preprocess import to_pixels as to_pixels
from pocketcnn.data.report import ImageReport as ImageReport
from pocketcnn.data.samples import handwritten as handwritten
from pocketcnn.data.samples import write_digits as write_digits
