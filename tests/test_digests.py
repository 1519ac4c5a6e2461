"""The bytes that every built-in recipe makes, pinned: to change one is a decision, and a new version."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import texture

from blurgen import convolve, degrade, psf
from blurgen.errors import InputError
from blurgen.gallery import stage_examples
from blurgen.recipe import Recipe, load_recipe
from blurgen.recipe import recipes as built_in
from blurgen.sources.digits import Digits

RECIPES = {
    "anime-box": "3a42ce624036217ebdc059f0e054a094064ddbaa7b7b6518418dc1e54d78b071",
    "anime-gaussian": "666b0543522d4483fe9e13e168e9f347fa807b68e478d8e5f695089dd2531e43",
    "anime-motion": "965ec839e6573e74a2f27b146089a5b1ed83f8af348e03bcffddeed0c2bf5881",
    "bsrgan": "c1100b1c8fda63878bb01f266abbc4d6ef0c7444da3fc6017206334760866f2f",
    "camera-shake": "9d308c4936c1790dc0809df7efa15001a7f67c408fa1126897430171072000bf",
    "fashion-gaussian": "175f38d8928365ed3e781109c3819a9834d499044ae9e2d0d8fce6d4e0188e5d",
    "gopro": "d8d09a872bda9f52443652b8b2214484129fd7ab9e9780bc511d430ad02c3503",
    "gp-shake": "4633a68cbcaa72491cf2f1b081e98f7d9e857a0d67fdea10f9fa6c6473a089db",
    "imagenet-c-contrast-1": "a4b9a8d8204c089de415aa0118dcf55c9dce1b25d191ecc02fe291f1962a0c21",
    "imagenet-c-contrast-2": "66ce9fe401eda8797f9983366a44d1307a84217be33d77417989c3c1b825740c",
    "imagenet-c-contrast-3": "1ad594fc95694da9f49db3706264e093aef8e483b328c00424181f3910e5c1d6",
    "imagenet-c-contrast-4": "7d7f16135b47054fe9177afee98c87c1f60da0de6a68d1e04b805018c4efe1d1",
    "imagenet-c-contrast-5": "70eb05f0ba782904d2296ef9b0e1e7474dfe712b79b60fe922dc4470dcc04982",
    "imagenet-c-defocus-1": "add2045772c9da5272b31e345a465f5951c8c46db544dab72a89fa74a7be4ddd",
    "imagenet-c-defocus-2": "bb7ea773fba205b226a8b8ab5191082d6c10d37c52a2deb89cc2ef97b980cefa",
    "imagenet-c-defocus-3": "4869c2545485e04377077bab75e45026f4b99c2cc580c175eb51f9f02154a470",
    "imagenet-c-defocus-4": "74b4a0c8555152c031703c6f60cc8055e021eb42e50ae7d0ff8a845b345cee72",
    "imagenet-c-defocus-5": "d96544321c2dbed2b65c78af3194148d55b210559bbf017100addb1f95b294e4",
    "imagenet-c-gaussian-blur-1": "2c07cfd357647c9b90e1831d51a70de55843d5b3d7580941da292925695c1eef",
    "imagenet-c-gaussian-blur-2": "1d6c8ccc54e93673ba58b33c3a72b9af286e93d1d38c2cbd8bf553883e280b63",
    "imagenet-c-gaussian-blur-3": "c9a9da257167f7e2ee9f12a60cfedbcb752f42337b2248e5ef729d7d93892662",
    "imagenet-c-gaussian-blur-4": "edc9d36833977e1ead98b0b03be644aa44a1e9b67a220fc07439338f1a8e1af2",
    "imagenet-c-gaussian-blur-5": "0a58bb66bf017feb068eee88cb3a33666e2ec38f9fe2e571f98ad74b50022c15",
    "imagenet-c-gaussian-noise-1": "829c4fa5fd360c1eda7bb47d8315d60d52c9dd18973cc3cedddad444c29865da",
    "imagenet-c-gaussian-noise-2": "37d99f797f0215038aafc42c1248601d0c960b94b862ccc2a562aa6ad6461691",
    "imagenet-c-gaussian-noise-3": "46d9842d34d2de9e461279c9361b0a6ab09d866c4fc7da0b819990d8210bfa73",
    "imagenet-c-gaussian-noise-4": "c9b28c6071a8342c45419af0d688cf24068fbde2e3e989a34af8e1bc94ca980b",
    "imagenet-c-gaussian-noise-5": "b1d4ac0a452e23b218f9edf3f08752436d985d4d45f369dc54f0e64b361607fe",
    "imagenet-c-impulse-noise-1": "f2e07ac5f813c04016025418592177f14dbca37021b6c4898c36ebc59f1e82ca",
    "imagenet-c-impulse-noise-2": "2c406e3857c2619177a502af690f26ad67dc87ec0eb28b351918028776a67064",
    "imagenet-c-impulse-noise-3": "eaf2f2f5fc339439a88cabfb1c4c660e8da4ab550cbd360cf194515048638d8b",
    "imagenet-c-impulse-noise-4": "07b2afb85136147f30e48780eeb467a0af2eed14b4c90f021ae422d6c8fd234f",
    "imagenet-c-impulse-noise-5": "2f2712d5c18c40c973c34c3e5dab5b5b83d191ad0a8f46bfa5ea69f52a94f1d7",
    "imagenet-c-jpeg-1": "d74ba488029203c3a64cc05756033007421d6b8fdc6ffaf0d1dc77bb0563b448",
    "imagenet-c-jpeg-2": "24480c9ce51298fe790714184ce8ad6c8bc4062cbd46a16fbd691711fc445c59",
    "imagenet-c-jpeg-3": "a5a6455a91281bd109e26e7e03c9b4613ee522338740aec3dc296f0ba4c76898",
    "imagenet-c-jpeg-4": "73ee8a104179ee3451d61ec4593a0615a85e500b760d2aa4a18f8e819c16c660",
    "imagenet-c-jpeg-5": "9b27d71b758e3d1fc34f2e4093de1c3aa5131788d2d82cf1d291b35c664d86de",
    "imagenet-c-motion-1": "d10879eaf0a3ef3014346c52a18d953e2d568d9069f9cc29e772bb347d910139",
    "imagenet-c-motion-2": "126fa0674a29cf41d207560111c5422590f7bfd979bef9aad5a39369f0c09e49",
    "imagenet-c-motion-3": "1cc9dcfd101bcf01ab71e51a7787918b733dc00a4989bbd2df1a4c46075f68a3",
    "imagenet-c-motion-4": "dd56778e10e2fe47ccb093c31752eba607ab049dd34c050e474eb93829bae5b5",
    "imagenet-c-motion-5": "406752532c1bcca69760eeed9bbebca7770fd0794ec720e1debc7cd237da10e4",
    "imagenet-c-pixelate-1": "645f0ae0758d98ffb5f23ff08d09c81e47c40725057e5e1118992a035f734820",
    "imagenet-c-pixelate-2": "9b349960912c3dfe219bff6ed113a83ec32e613bc68a4e1ad937fb337d501abc",
    "imagenet-c-pixelate-3": "d919a235f92e7d45a43d614ac7da88be257440cb3fca1d6cc241bfc9eccdb578",
    "imagenet-c-pixelate-4": "5ccba75b6a7cdebe9ca009566e82afbaf623597457703095482a33a8e99b4e7d",
    "imagenet-c-pixelate-5": "b589d46c6499f9245c16011185ad67e65eec751cc8cef33cfa6d531be8607f37",
    "imagenet-c-shot-noise-1": "c834a322335c79edd9fd5be06df56cdd4adba6fdde02788c0e66e27191329592",
    "imagenet-c-shot-noise-2": "8978499300ea1222052ea3ad1a089f1a2b590244d3280a1d120265eb38cc14ec",
    "imagenet-c-shot-noise-3": "71d2b823df014d1b4e9acf74c4606b48753abfcc9229223bbf5674e34508d4aa",
    "imagenet-c-shot-noise-4": "9ea567e0417c491e78029051ca678dc485a5caba410bc85e8c209a4a1883a9f7",
    "imagenet-c-shot-noise-5": "83bb84e67a7718c660e5b40970b93cfb69560b63015cff7add766729c13480b2",
    "imagenet-c-speckle-noise-1": "002d14e4af8692611ef3077e7d8c5fa1a1855b66eedd67f1a850e17525f85648",
    "imagenet-c-speckle-noise-2": "9941595c71a2a658f0ef781e14167a45f304f3c826ef2c6f473dd810cc1155b8",
    "imagenet-c-speckle-noise-3": "d8de610252ea6668106e8ab0e9692b8c5ded6b85a7edfa01b0655f7df5edf9fc",
    "imagenet-c-speckle-noise-4": "5d623f6195165d88650a77bb89e3978cd854e471c6e6fafecfe8fbf8ba0e3ffa",
    "imagenet-c-speckle-noise-5": "fade2d10bb3e180bfaf8f213f29368ca62cb5cf346c7dff1c3be4f554008b635",
    "levi-shake": "75ddd560512847923ba4eabf613782a27516d5075141cf03f8f455b7492de1bd",
    "mnist-motion": "d842e17938cba2930682f3dc8ab6f9957c3ef9efdac3ef1742008589c830a187",
    "mnist-motion-len5": "95c9fff508dd2b7b41c24cabefddd2b6c189812f6c08b91d0155a617ca34dd77",
    "plates": "ed923a56ac4cfce05ebe7519c26ace09c3279b8e27a0f0ded40d78a9edc492b8",
    "realesrgan": "9b00b81cd55cbb4a20970f368cd8f3dd83867335e876e83b0ed7172c9d05b32d",
    "realistic": "096c37de58ea0488bbd34c2c4e43bdc72ab8a8b9c5bdc7145727626c63db1047",
    "rsblur": "338af19318248afd8f835479376d90132b6fc328650f44699943b8bc4562f99f",
    "text-hradis2015": "4d9fc8c501e4ee8a5be3c9db7a30b1ba0860e193349ff862c8a27ceb0a64d55c",
    "untouched": "4b3ef957d5c511111fba3fdf3cf58b62d5a8ab848c571a08a8c6ef99c112e5cf",
}
STAGES = {
    "accelerated_motion": "aafed41b074433b9171f692bd21a1dbbffc55006c46e802b16820ad5df33d51e",
    "anisotropic_gaussian": "34ae1739b428bb840a8f843512252d2b5d33567edd1518ca9466b3048878c0bb",
    "arc_motion": "cde7ab797d3d0d0840243dc45dc686054dbbbe264a41d7fe4f2abcab13907771",
    "banding_noise": "e4ecd8b7462b756f2a8c9bacd33b66bbccd455d3866a7183cea990593fbed3cf",
    "bilateral": "f10b84e239b8811ad0c40de17c59af8d18b7796a179489f2be067bb7b42c4455",
    "box": "c3101ae49dd81c5c7bb73153c96c664a07c18d8bb75e6676e8f10ec62e6cfb5c",
    "brightness": "b9309843440427c2290d782e492c1ab01fab8707d7decca389a6c523ad309284",
    "camera_shake": "10d29df3e178427a916a5f7b7e804d5887e445d48b6d77c2a9f0ea1237853c0a",
    "clahe": "87f1f16d7d9c80f4d1c06719dc5d84e21be3028dcee33846f2562fe05e40b3fb",
    "contrast": "515d9687c5aafc24477571807873d43732fb5bd5540754ea73b19504c838b3c6",
    "correlated_noise": "848a475f6f78e3c512001f653f82ad87f3528822f7b0fa361ed28b89151f5727",
    "covariance_gaussian": "f29cf54bfc840f6ffa96e0d7e2fcf97e92dee1b146cf81b74387bfd983ce1031",
    "depth_blur": "a97cacdf14a07bc0e125fb6a3a899db123aec7c37679b6f1f5e81ff5dfbe11c7",
    "diffraction": "c2487c2b79e78de61e8d5e23a8c526fdf39e1a184af171f29de8b2738cdf0cc4",
    "disk": "3f015d0fe3dd112755aa575f90b375c44b753df785a34d57ba019ba58c17346c",
    "elastic": "7c5348207d0645da7fec2cdf25557c2910b464cdd6f8528a8373e45651055c1b",
    "exposure": "c11367c59aca0ddd183ff053f5a055fb3b661ef3453513f0b369bf075100a6b8",
    "fit": "4fed2da5bdef96a6759adae28af113b62ded5bd9d50252c28987fdaf16313edf",
    "flip": "b9507e3f7b2a7fe920f36741f2515fa6167ebb14ceef49e174ec7c7de805345b",
    "gamma": "5e2630ba30c52fe135099cdb3189cb8f873e1175eb779bde9604a7b3d2a64824",
    "gaussian": "88e80c3ccdcd5d6364c544ffbae266f4f64de90859121c7ff7509952d65d072d",
    "gaussian_noise": "c8873749e89c293d06809377ed9095b80ec7d17f58828be2ac9a17826d2c6f6e",
    "generalized_gaussian": "56b813a4df72356d85e3878b7b84e645097628e45dded18968bfbdb60400e5ac",
    "gp_shake": "198479ea2cd4ab8bb3ef6003b16dcf05dbc7ec8c637541e3acec1cdd4777b559",
    "highlights": "610e82f2da55f192fb93252b521b2bf34725b881596dc8680efbde0796f48f57",
    "imagenet_c_defocus": "1cd06b696087b4ca1c38dc675a316538e5b928d3d1b49327fe0475be07c23838",
    "imagenet_c_motion": "9433a9adff9c9e98527e942ca418bb676f0e13a456855ed753b23e25e07dd9c5",
    "impulse_noise": "b7f1218d072db3af979bb585bc0afcf2e6bfdb7c2c67188e203877106599d30e",
    "jpeg": "dfd6f85593bbcc8fbdbe5278acd9dcebf78a6afb2862e98ca69bd8ef6d24a57e",
    "levi_shake": "7279860b6176b2eb0baf394c809fd992724c7f78997fcec13c9f5f4d1987cb92",
    "linear": "b180bd4673517eb715347956f92dd82220c1115d6ed0dd08198f9c3f83395caa",
    "maybe": "a2b3e36c4837bff7f9fc7952420182b26bbdb12d77cbf1d89d9723ad27fef465",
    "median": "c1f388678af8da3e148512d099957a7da9bffd1943b06905a1bcf49d72b6283d",
    "motion": "d7a7d87e2664bb1aa66eea29f279a173375a5e57fbeb16a31fdcb9766b83c328",
    "nonlinear_motion": "e284e1b8278f4c59ab4b7a2601412e8cece3d252e2ae0841284e80cae9e99036",
    "object_motion": "83a1aa0502553f829bac941692b878fa94392728df13b64b724499b5d10a2a31",
    "one_of": "e62d308f9404bbd05cf5c4e597806e1061b0735f37f85928926086e87f66b76f",
    "pad": "d342da79b4b3ffdf97a9bd4f206e189bee26c8de578431b9d00a01a7f7d15093",
    "perspective": "595c9036b5a24707a93dc0ce8c29e8af78a2398623943cd81c1c1e9f0fa370f7",
    "pixelate": "eee9b618d4aeb18e9d69f71a1d413d1cc576d4b5a2a4cd0044ad04720d50ae1a",
    "plate_view": "034ce3ee3f4ae84fdb537d33cf369abce2e7ccdfa9834bdda5131204af03558a",
    "plateau_gaussian": "00cbf8f1d8f23dd53ed492ca64d133ceb0130ecfdf95212188d6a017f9e0d0a3",
    "poisson_gaussian_noise": "5e6b7eb69c1a02aea40675ead4ce6ee811ad48b460fe067a8623ea70aad649de",
    "polygon": "34afee57cd1cdc031d70e35cf7c466a6d03753f3f162a25190f5890138b4e591",
    "quantisation": "5ebeeecd891e3bfca4d2b4c6a8542b6b6ecb923b48fb65d076a6dceb3d4b8545",
    "random_replacement": "2708d551b016beef12b3371ac54d765bfc77304f234e83713d99f984fd506326",
    "random_walk": "b3b46bd0c9164acfcc1279db5523175793f02002987a36f50681e2ca80b1d23e",
    "rescaled": "3bd3f0cdab9c755c3c89de52ed37cf25c4d513ef836b79c1f8c2fbe00629cb68",
    "resize": "a1d32eb219915574d41bfa4cbe32e1797218f1613f232a5472bffaf70ae258c9",
    "resize_and_back": "3cecbebf11cecd69b2c94b63efc770f607f3e020565b84a25a9c165a6cbecea4",
    "roll": "e0d19dd0b0f211de9cada3648ccae95af35c4df94272a6591c8258bac6e64952",
    "rotate": "06d7b8e42c216dd59074c1092c2837af2f8fabe89682d1007097d0772089d83d",
    "saturate": "4b3ef957d5c511111fba3fdf3cf58b62d5a8ab848c571a08a8c6ef99c112e5cf",
    "sensor": "bcc489a73735d3d00f1414659888d2551bc7c88c599f86ab59f3c15526065896",
    "shot_noise": "48f7bef49b8ee18ca0c6c7830e5a300a59024b4718023d4a88d98c794114b366",
    "shuffled": "28b9248e286f181a0ae147ff540b0ad8faa33f738e59cd320b488353bbc5cbd3",
    "sinc": "8564360f8b7a8a92369363d663cab87e90beaf7230ca159e1202cb7651c1b725",
    "soft_disk": "f3db32fd3e8ba397bc520154ccdd84d6a8dc41a386b5e33500d77c4b6678ab1f",
    "speckle_noise": "13064c7927bd62a22e0745846e83c4a51eedb5e4888b71275bc853c9fbe2a470",
    "thick_line": "bf77d4d79b16566164a418199ce8ca628ed5e63e1ef93f2a47d0108140c3035c",
    "turn": "bd3ef2d35444d34c62eab9fdc78dc268199d617a4f3ec74991300b8a1e2f9f66",
    "varying": "3f5bcb530305e59df51259eef0e309c4db88a2418b43b7da09b7603898665bf3",
    "vignetting": "fa784176e2506f9807aa036a798a4d412c4b3bbaaadb060ef5526139f9f7a6e4",
    "zoom_motion": "fa797a3463e3ee64a3e62fe19868f0af521f1e9e11a20d558bab2d7a18ab4383",
}
CONVOLUTIONS = "17f485609fc436686fed0c5dade07c24b6dd31c51e8b74f407591402fc95d99e"


def takes(recipe, shape):
    """Whether a recipe takes such images."""
    try:
        recipe.output_shape(shape)
    except InputError:
        return False
    return True


def digest_of_pairs(recipe):
    """SHA-256 of what a recipe makes of digits and of textures, gray and in colour, if it takes them."""
    found = hashlib.sha256()
    for images, start in (
        (Digits().read(0, 24), 0),
        (texture(7, 40, 40), 100),
        (texture(3, 33, 33, 3), 2**40),
    ):
        if not takes(recipe, images.shape[1:]):
            continue
        pairs = degrade(images, recipe, seed=2024, start=start)
        found.update(pairs.sharp.tobytes())
        found.update(pairs.blurred.tobytes())
        for name, column in pairs.params.items():
            found.update(name.encode())
            found.update(column.dtype.str.encode())
            found.update(column.tobytes())
    return found.hexdigest()


def digest_of_stage(kind):
    """SHA-256 of what the example of a stage makes."""
    return digest_of_pairs(Recipe.from_dict({"name": kind, "stages": stage_examples()[kind]}))


def digest_of_convolutions():
    """SHA-256 of what each engine makes of bytes and of floats."""
    found = hashlib.sha256()
    kernels = [psf.motion(9.3, 37), psf.gaussian(15, 2.3), psf.box((7, 6)), psf.disk(5.2), psf.disk(13.7)]
    for shape in ((1, 30, 9, 1), (2, 57, 63, 3), (1, 300, 250, 1)):
        for kernel in kernels:
            images = texture(*shape)
            found.update(convolve(images, kernel, "reflect").tobytes())
            found.update(convolve((images / np.float32(255)).astype(np.float32), kernel).tobytes())
    return found.hexdigest()


def digests():
    """All digests, a line each."""
    recipes = [digest_of_pairs(load_recipe(name)) for name in RECIPES]
    return [*recipes, *(digest_of_stage(kind) for kind in STAGES), digest_of_convolutions()]


def test_every_built_in_recipe_is_pinned():
    assert list(RECIPES) == sorted(built_in())


@pytest.mark.parametrize("name", RECIPES)
def test_built_in_recipes_make_the_same_bytes_as_ever(name):
    assert digest_of_pairs(load_recipe(name)) == RECIPES[name]


def test_every_stage_is_pinned():
    assert list(STAGES) == sorted(stage_examples())


@pytest.mark.parametrize("kind", STAGES)
def test_stages_make_the_same_bytes_as_ever(kind):
    assert digest_of_stage(kind) == STAGES[kind]


def test_convolutions_make_the_same_bytes_as_ever():
    assert digest_of_convolutions() == CONVOLUTIONS


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of x86")
@pytest.mark.parametrize("processor", ["haswell", pytest.param("generic", marks=pytest.mark.fuzz)])
def test_other_processors_make_the_same_bytes(processor, tmp_path):
    tests = Path(__file__).parent
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": processor,
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)]),
    }
    script = "import test_digests; print(*test_digests.digests())"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    got = dict(zip([*RECIPES, *STAGES, "convolutions"], done.stdout.split(), strict=True))
    assert got == {**RECIPES, **STAGES, "convolutions": CONVOLUTIONS}
